"""The processes of the service: starting, watching, replacing and ending them."""
