"""From logs to tables, figures and pages; it knows no benchmark and no policy by name."""
