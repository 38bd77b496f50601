//! The fields that a line of an event stream can be.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Event,
    Data,
    Id,
    Retry,
    /// A line that starts with a colon: a field without a name, which nobody reads.
    Comment,
}

impl Field {
    /// What a whole line is; `None`: no field.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let field = Self::by_first(*line.first()?)?;
        let rest = line.strip_prefix(field.name())?;
        matches!(rest.first(), None | Some(b':')).then_some(field)
    }

    /// Whether the beginning of a line can, with more bytes, become a field.
    pub(super) fn may_become(line: &[u8]) -> bool {
        let Some(&first) = line.first() else { return true };
        Self::of(line).is_some() || Self::by_first(first).is_some_and(|field| field.name().starts_with(line))
    }

    /// Where the value starts in the line: behind the colon and one space.
    pub(super) fn value_offset(self, line: &[u8]) -> usize {
        let name = self.name().len();
        match line[name..] {
            [b':', b' ', ..] => name + 2,
            [b':', ..] => name + 1,
            _ => name,
        }
    }

    /// The only field that a line with this first byte can be.
    fn by_first(byte: u8) -> Option<Self> {
        Some(match byte {
            b'e' => Self::Event,
            b'd' => Self::Data,
            b'i' => Self::Id,
            b'r' => Self::Retry,
            b':' => Self::Comment,
            _ => return None,
        })
    }

    const fn name(self) -> &'static [u8] {
        match self {
            Self::Event => b"event",
            Self::Data => b"data",
            Self::Id => b"id",
            Self::Retry => b"retry",
            Self::Comment => b"",
        }
    }
}
