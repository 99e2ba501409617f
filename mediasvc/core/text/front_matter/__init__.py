"""Front matter: where it is and which of its fields name images, in each format."""
