//! An input as changes to something good.

/// Applies changes of seven bytes each: a place, what to do there, and a number to do it with.
pub fn apply(mut file: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(7) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let number = i32::from_le_bytes([change[3], change[4], change[5], change[6]]);
        let wide = i64::from(number).to_le_bytes();
        let at = place.min(file.len());
        match change[2] % 6 {
            0 => file.truncate(at),
            1 => file.splice(at..at, wide[..4].iter().copied()).for_each(drop),
            op => {
                let len = [1, 2, 4, 8][usize::from(op) - 2].min(file.len() - at);
                file[at..at + len].copy_from_slice(&wide[..len]);
            }
        }
    }
    file
}
