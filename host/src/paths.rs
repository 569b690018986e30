//! Where things are: the folders a caller gives the host. Never looked up in the environment here.
