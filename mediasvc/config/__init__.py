"""Settings: how their values are written, the settings themselves, and the policies made from them."""
