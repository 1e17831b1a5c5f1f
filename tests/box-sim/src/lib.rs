//! box-sim
