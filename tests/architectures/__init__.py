"""Small, faithful versions of the generators that people have, each with what is expected of it."""
