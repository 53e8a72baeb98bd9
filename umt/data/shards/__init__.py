"""Class folders that lie in tar files: listed, measured and read as if the files were extracted."""
