//! The picture on a terminal.
//!
//! Must not know: where the figures come from.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table};

use super::figures::{HEADERS, Picture};

/// Draws headline, members and the keys that work.
pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let reasons = picture.reasons();
    let below = Constraint::Length(u16::try_from(reasons.len() + 1).unwrap_or(1));
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), below]).areas(frame.area());
    let alarmed = !picture.notes.is_empty();
    let headline = Line::from(picture.headline());
    let headline = if alarmed { headline.fg(Color::Red).bold() } else { headline.bold() };
    frame.render_widget(Paragraph::new(headline), top);
    let all: Vec<_> = picture.rows.iter().map(super::figures::Row::cells).collect();
    let widths = (0..HEADERS.len()).map(|column| {
        let cells = all.iter().filter_map(|cells| cells.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        Constraint::Length(u16::try_from(widest.max(HEADERS[column].len())).unwrap_or(u16::MAX))
    });
    let rows = picture.rows.iter().zip(&all).map(|(row, cells)| {
        let style = match (&row.error, row.role) {
            (Some(_), _) | (_, "no leader") => Style::new().fg(Color::Red),
            (_, "leader") => Style::new().fg(Color::Green),
            _ => Style::new(),
        };
        Row::new(cells.iter().cloned()).style(style)
    });
    let header = Row::new(HEADERS).style(Style::new().bold());
    let table = Table::new(rows, widths).header(header).column_spacing(2);
    frame.render_widget(table, middle);
    let reasons = reasons.into_iter().map(|reason| Line::from(reason).fg(Color::Red));
    let lines: Vec<_> = reasons.chain([Line::from("q quits").dim()]).collect();
    frame.render_widget(Paragraph::new(lines), bottom);
}

/// Draws what is wrong when nobody answers.
pub(super) fn draw_error(frame: &mut Frame<'_>, error: &str) {
    let lines = vec![Line::from(error.to_owned()).fg(Color::Red), Line::from("q quits").dim()];
    frame.render_widget(Paragraph::new(lines), frame.area());
}
