"""The command `rewrite`: files, folders and stdin in, the same with local images out."""
