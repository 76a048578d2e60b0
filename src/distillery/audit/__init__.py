"""The audit: what proves that each number comes from where the paper says."""
