//! `application/x-www-form-urlencoded` bodies that carry secrets.

/// Encodes the pairs in their order.
pub(crate) fn encode_form(pairs: &[(&str, &str)]) -> String {
    // The capacity suffices for the whole form: a buffer that grows leaves copies of secrets in freed memory.
    let capacity = pairs.iter().map(|(key, value)| 3 * (key.len() + value.len()) + 2).sum();
    form_urlencoded::Serializer::new(String::with_capacity(capacity)).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_encoded() {
        let form = encode_form(&[("a", "x-y.z_"), ("b", "1+2&c=d %/é~")]);
        assert_eq!(form, "a=x-y.z_&b=1%2B2%26c%3Dd+%25%2F%C3%A9%7E");
    }
}
