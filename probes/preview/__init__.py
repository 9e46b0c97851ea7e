"""What a `pulumi preview` would do to the traffic, as a comment on a pull request."""
