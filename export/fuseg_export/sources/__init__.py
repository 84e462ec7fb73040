"""Where a network comes from: a factory, a library, a folder, an archive, a file."""
