//! How IAM compares a policy with a request. Tests judge policies by it.

/// Whether a policy's resource, or a condition's value, covers this text: `*` is any text. IAM also has `?` for any
/// character. No policy here has it.
pub fn covers(resource: &str, arn: &str) -> bool {
    assert!(!resource.contains('?'), "{resource}");
    let mut parts = resource.split('*');
    let Some(mut left) = arn.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return left.is_empty() };
    for part in middle {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}
