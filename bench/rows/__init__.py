"""The benchmarks, a module a subject: in come seconds to spend, out tables."""
