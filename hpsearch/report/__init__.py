"""Tables and pictures of results, and the formats they are written in."""
