//! The statement that a client sends to PostgreSQL, as a recorder between the two heard it.

use anyhow::{Context as _, Result, bail, ensure};
use local::{Message, Recorder};

use crate::script::Bytes;

/// The statement of a connection, and the parameters of each of its executions.
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) types: Vec<u32>,
    pub(crate) parameters: Vec<Vec<Option<Bytes>>>,
}

impl Statement {
    /// The one statement with parameters that was said so far; there must be one connection only.
    pub(crate) fn recorded(recorder: &Recorder) -> Result<Self> {
        let said = recorder.said();
        let [messages] = said.as_slice() else {
            bail!("{} connections instead of one", said.len());
        };
        parse(messages)
    }
}

fn parse(messages: &[Message]) -> Result<Statement> {
    let mut found: Option<(String, Statement)> = None;
    for Message { kind, body } in messages {
        let mut message = Reader(body);
        match kind {
            Some('P') => {
                let (name, sql) = (message.text()?, message.text()?);
                let types = (0..message.number_of()?)
                    .map(|_| Ok(message.number()?.cast_unsigned()))
                    .collect::<Result<Vec<_>>>()?;
                if !types.is_empty() {
                    ensure!(found.is_none(), "a second statement was prepared: {sql}");
                    let parameters = Vec::new();
                    found = Some((
                        name,
                        Statement {
                            sql,
                            types,
                            parameters,
                        },
                    ));
                }
            }
            Some('B') => {
                let (_portal, name) = (message.text()?, message.text()?);
                let Some((_, statement)) = found.as_mut().filter(|(known, _)| *known == name)
                else {
                    bail!("an unknown statement was executed: {name}");
                };
                for _ in 0..message.number_of()? {
                    ensure!(message.bytes(2)? == [0, 1], "a parameter in text format");
                }
                let values = (0..message.number_of()?).map(|_| message.value());
                statement.parameters.push(values.collect::<Result<_>>()?);
            }
            _ => {}
        }
    }
    let (_, statement) = found.context("no statement was prepared")?;
    Ok(statement)
}

/// Reads the parts of messages.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .context("a message is cut off")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes(4)?.try_into()?))
    }

    /// How many of something follow.
    fn number_of(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.bytes(2)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.0.iter().position(|byte| *byte == 0);
        let bytes = self.bytes(length.context("a text has no end")?)?;
        self.bytes(1)?;
        Ok(String::from_utf8(bytes.to_vec())?)
    }

    fn value(&mut self) -> Result<Option<Bytes>> {
        match usize::try_from(self.number()?) {
            Ok(length) => Ok(Some(Bytes(self.bytes(length)?.to_vec()))),
            // -1 is NULL.
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: char, body: &[u8]) -> Message {
        Message {
            kind: Some(kind),
            body: body.to_vec(),
        }
    }

    #[test]
    fn the_statement_and_its_parameters_are_read() {
        let said = [
            message('p', b"SCRAM"),
            message('P', b"s0\0SELECT $1, $2\0\0\x02\0\0\0\x17\0\0\0\x19"),
            message('S', b""),
            message(
                'B',
                b"\0s0\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0",
            ),
            message('E', b"\0\0\0\0\0"),
        ];
        let statement = parse(&said).unwrap();
        assert_eq!(statement.sql, "SELECT $1, $2");
        assert_eq!(statement.types, [23, 25]);
        assert_eq!(statement.parameters, [[Some(Bytes(b"x".to_vec())), None]]);
        assert!(parse(&said[..1]).is_err());
    }
}
