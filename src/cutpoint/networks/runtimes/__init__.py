"""Heavy libraries that several floors use: imported with care, and what is common about them."""
