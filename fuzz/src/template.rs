//! The template reader of `latchkey dev`.

use sam_template::Template;

/// The target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::read(text) else { return };
    // Every name refers to an existing resource.
    for authorizer in template.authorizers.values() {
        assert!(template.functions.contains_key(&authorizer.function));
    }
    for route in &template.routes {
        assert!(template.functions.contains_key(&route.function), "{}", route.key());
        let authorizer = route.authorizer.as_ref();
        assert!(authorizer.is_none_or(|name| template.authorizers.contains_key(name)), "{}", route.key());
    }
}
