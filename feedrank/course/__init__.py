"""The course's checker, played on a bundle."""
