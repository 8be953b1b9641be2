"""The course's checker: one file that holds everything, and the app that loads it."""
