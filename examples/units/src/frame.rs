//! Frames: one byte that says what it is, two of length, then so many bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Unit to hub, first: the unit's MAC address.
pub const HELLO: u8 = b'H';
/// Unit to hub: sortie's presence, as JSON.
pub const PRESENCE: u8 = b'P';
/// Unit to hub: sortie's report, as JSON.
pub const REPORT: u8 = b'R';
/// Hub to unit: sortie's request, as JSON.
pub const REQUEST: u8 = b'Q';
/// Unit to hub: it has the request.
pub const GOT_IT: u8 = b'G';

/// No message of sortie's is longer.
const LENGTH_MAX: usize = 8 * 1024;

/// Reads a frame; `None` at the end of the connection.
///
/// # Errors
/// The connection's, or a frame that is too long.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 3];
    match stream.read_exact(&mut head).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let [kind, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LENGTH_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(Some((kind, bytes)))
}

/// Writes a frame.
///
/// # Errors
/// The connection's, or a frame that is too long.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    bytes: &[u8],
) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).ok();
    let length = length.filter(|length| usize::from(*length) <= LENGTH_MAX);
    let length = length.ok_or_else(|| io::Error::other("a frame that is too long"))?;
    let [high, low] = length.to_be_bytes();
    let frame = [&[kind, high, low], bytes].concat();
    stream.write_all(&frame).await?;
    stream.flush().await
}
