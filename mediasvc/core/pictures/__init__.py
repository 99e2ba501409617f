"""Image bytes to image bytes: decode, turn upright, resize, encode; headers, colour, animation, SVG."""
