"""The declarations of the tables, and the engines that few of them share."""
