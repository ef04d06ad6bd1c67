"""What several tests share: small experiments, an executor without processes, work for worker processes."""
