"""What `check-workload` and `check-strategy` try: somebody's GAN, somebody's strategy."""
