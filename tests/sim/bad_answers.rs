//! bad_answers
