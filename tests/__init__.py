"""Tests; a package, because one of the dependencies installs a package of the name `tests`, too."""
