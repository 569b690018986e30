//! Files and folders that may be trusted: the walk along a path, reading once, writing for good.
