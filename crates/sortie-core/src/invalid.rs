//! All that is wrong with a value, at once (rule S3).

use std::fmt;

use serde::Serialize;

/// One field's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, by its name in the API; a path such as `groups.pilot.selector` where it nests.
    pub field: String,
    /// What is wrong, naming the value.
    pub error: String,
}

/// Every error of a value, each by field. Nothing was changed: show them, let them be mended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    /// Notes one error.
    pub fn add(&mut self, field: impl Into<String>, error: impl fmt::Display) {
        self.0.push(FieldError {
            field: field.into(),
            error: error.to_string(),
        });
    }

    /// `value` if nothing was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, FieldError { field, error }) in self.0.iter().enumerate() {
            write!(f, "{}{field}: {error}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
