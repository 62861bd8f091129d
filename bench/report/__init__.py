"""The page that gathers recorded results, and the API reference."""
