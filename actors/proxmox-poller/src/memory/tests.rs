//! Memory over polls.
