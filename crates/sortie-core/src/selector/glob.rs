//! Globs over tags.

use std::str::Chars;

/// Whether `glob` fits the whole of `text`: `*` is any run of characters, `?` is one.
///
/// It takes at most as many steps as the two lengths multiplied, and no memory.
pub(super) fn fits(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // What is after the last `*`, and the text from which on that was tried. Earlier ones need no
    // other try: what is between two of them is found at its first place.
    let mut last_star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut next_glob, mut next_text) = (glob.clone(), text.clone());
        match (next_glob.next(), next_text.next()) {
            (Some('*'), _) => {
                last_star = Some((next_glob.clone(), text.clone()));
                glob = next_glob;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (glob, text) = (next_glob, next_text);
            }
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut last_star else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (glob, text) = (after.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_a_star_is_any_run_and_a_question_mark_one_character() {
        for (glob, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any thing", true),
            ("?", "", false),
            ("?", "ä", true),
            ("?", "ab", false),
            ("foo*", "foox", true),
            ("foo*", "foo", true),
            ("foo*", "afoo", false),
            ("oth?r", "other", true),
            ("oth?r", "othr", false),
            ("dev?", "device", false),
            ("*-?", "gw-1", true),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxac", false),
            ("a*a", "a", false),
            ("*aab*", "aaab", true),
            ("a%_b", "axxb", false),
            ("a%_b", "a%_b", true),
            ("a.c", "abc", false),
            ("**?**", "x", true),
            ("**?**", "", false),
        ] {
            assert_eq!(fits(glob, text), expected, "{glob:?} {text:?}");
        }
    }
}
