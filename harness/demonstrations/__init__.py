"""LeRobot data sets of demonstrations: record, write and read. The engine does not import it."""
