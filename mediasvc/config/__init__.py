"""What an operator may set: how values are written, the settings themselves, and the policies they make."""
