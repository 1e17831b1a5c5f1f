//! The structure of the repository: layers, circles between files, pure files, names, links in the docs.

mod docs;
mod names;
mod structure;
