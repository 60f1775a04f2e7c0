"""Recognition: from a picture to names. `worker` runs `engine` in a process of its own."""
