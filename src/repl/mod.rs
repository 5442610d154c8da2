//! The interactive shell: entries in, sessions run, their maps out.
