//! A door for the fuzz target: what each end reads of the other, and what the agent does
//! with it. Not part of the library's interface.
