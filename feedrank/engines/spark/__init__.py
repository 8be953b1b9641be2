"""The engine `spark`: the same functions on a Spark cluster. Nothing else imports PySpark."""
