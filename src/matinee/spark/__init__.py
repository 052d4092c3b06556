"""The same work on a Spark cluster, where one machine is not enough; needs the extra `spark`."""
