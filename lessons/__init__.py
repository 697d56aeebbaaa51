"""The lessons: one folder a topic, each with a text that runs and exercises that are checked."""
