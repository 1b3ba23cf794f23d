"""Compare methods on tasks: cases, rates tuned by one procedure, tables, figures."""
