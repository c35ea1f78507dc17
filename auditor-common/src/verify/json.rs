//! A verdict as one JSON object. Written by hand: the offline verifier is to need nothing that it can do without.

use std::fmt::Write as _;

use super::{Answer, Finding, Question, Verdict};
use crate::note::hex;

/// A JSON string (RFC 8259 section 7).
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            char if u32::from(char) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

impl Verdict {
    /// One JSON object, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let answers: Vec<String> = Question::ALL
            .into_iter()
            .map(|question| {
                let Answer { standing, sentence } = self.answer(question);
                format!(
                    "{}:{{\"standing\":{},\"sentence\":{},\"required\":{}}}",
                    string(question.word()),
                    string(standing.word()),
                    string(sentence),
                    self.required[question as usize]
                )
            })
            .collect();
        let finding = match &self.finding {
            None => "null".to_owned(),
            Some(Finding::Unknown { sentence }) => {
                format!("{{\"kind\":\"unknown\",\"sentence\":{}}}", string(sentence))
            }
            Some(Finding::Violated { question, record, sentence }) => format!(
                "{{\"kind\":\"violated\",\"question\":{},\"record\":{},\"sentence\":{}}}",
                string(question.word()),
                record.map_or("null".to_owned(), |record| record.to_string()),
                string(sentence)
            ),
        };
        let gaps: Vec<String> = self.gaps.iter().map(|gap| string(gap)).collect();
        format!(
            "{{\"origin\":{},\"exit\":{},\"summary\":{},\"answers\":{{{}}},\"finding\":{finding},\"records\":{},\
             \"size\":{},\"root\":\"{}\",\"sealed_wall_ns\":{},\"unsealed\":{},\"gaps\":[{}],\"gap_count\":{}}}",
            string(&self.origin),
            self.exit(),
            string(&self.summary()),
            answers.join(","),
            self.records,
            self.size,
            hex(&self.root),
            self.sealed_wall_ns,
            self.unsealed,
            gaps.join(","),
            self.gap_count
        )
    }

    /// For people: a summary, the six answers, and what is missing.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}: {}\n", self.origin, self.summary());
        for question in Question::ALL {
            let Answer { standing, sentence } = self.answer(question);
            let _ = writeln!(text, "  {:<12} {:<10}  {sentence}", question.word(), standing.word());
        }
        if self.unsealed > 0 {
            let _ = writeln!(text, "  {} records after the newest seal are not signed yet", self.unsealed);
        }
        for gap in self.gaps.iter().take(20) {
            let _ = writeln!(text, "  gap: {gap}");
        }
        if self.gap_count > 20 {
            let _ = writeln!(text, "  … and {} more gaps", self.gap_count - 20);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a \"b\" \\ \n – ü"), "\"a \\\"b\\\" \\\\ \\u000a – ü\"");
    }
}
