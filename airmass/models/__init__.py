"""Models: a folder for each family, and the parts that families share (`mesh`, `nn`, `objectives`, `published`)."""
