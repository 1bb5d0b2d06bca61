//! Asking a person: passwords without showing them, and yes or no.
//!
//! Invariants: what is typed as a password is never shown; the terminal is left as it was, also
//! when the prompt is interrupted. Without a terminal a line is read from standard input.

use std::io::{BufRead as _, IsTerminal as _};

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::show::notice;
use crate::ToolError;
use crate::catalogue::Id;

/// Asks for a password.
///
/// *Errors*: `Password` when it is interrupted or there is nobody to ask.
pub(crate) fn password(prompt: &str) -> Result<String, ToolError> {
    if !std::io::stdin().is_terminal() {
        return first_line();
    }
    // The prompt is for the person: standard output may be a file.
    eprint!("{prompt}");
    enable_raw_mode()?;
    let typed = type_hidden();
    disable_raw_mode()?;
    notice("");
    typed
}

/// Asks for a new password, twice.
///
/// *Errors*: `Password` when it is empty or the two differ.
pub(crate) fn new_password(user: &str) -> Result<String, ToolError> {
    let first = password(&format!("Password of {user}: "))?;
    if first.is_empty() {
        return Err(ToolError::of(Id::Password, "the password is empty"));
    }
    if std::io::stdin().is_terminal() {
        let second = password(&format!("Type password of {user} again for confirmation: "))?;
        if first != second {
            return Err(ToolError::of(Id::Password, "the two passwords differ"));
        }
    }
    Ok(first)
}

/// The first line of standard input, for `--interactive=false`.
pub(crate) fn first_line() -> Result<String, ToolError> {
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(ToolError::of(
            Id::Password,
            "no terminal to ask on, and standard input is empty",
        ));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn type_hidden() -> Result<String, ToolError> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Enter => return Ok(typed),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Err(ToolError::of(Id::Password, "interrupted"));
            }
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => typed.clear(),
            KeyCode::Char(character) => typed.push(character),
            _ => {}
        }
    }
}
