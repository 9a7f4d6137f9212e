//! How far an analysis goes. What it reads may be written to make it endless; the bounds of `engine::analysis` hold for files and bytes,
//! these for what is made of them.

/// Of one manifest: the greatest that people write have a few hundred.
pub const DEPENDENCIES_MAX: usize = 5_000;
/// Of all manifests: a thousand packages of a hundred each.
const ALL_DEPENDENCIES_MAX: usize = 100_000;
/// Technologies shown by files, variables, images and their like.
pub const SIGNS_MAX: usize = 20_000;

/// The time and the amounts that are left, and what was left out for want of them.
pub struct Budget<'a> {
    has_time: &'a mut dyn FnMut() -> bool,
    ran_out: bool,
    dependencies: usize,
    /// The first reason why not everything was analysed.
    pub partial: Option<String>,
}

impl<'a> Budget<'a> {
    pub fn new(has_time: &'a mut dyn FnMut() -> bool) -> Self {
        Self { has_time, ran_out: false, dependencies: 0, partial: None }
    }

    /// Whether there is time for more; once there is none, there never is again.
    pub fn lasts(&mut self) -> bool {
        if !self.ran_out && !(self.has_time)() {
            self.ran_out = true;
            self.cut("there was no time to analyse everything".to_owned());
        }
        !self.ran_out
    }

    /// Whether there is room for the dependencies of one more manifest.
    pub fn takes(&mut self, dependencies: usize) -> bool {
        self.dependencies += dependencies;
        let has_room = self.dependencies <= ALL_DEPENDENCIES_MAX;
        if !has_room {
            self.cut(format!("only the first {ALL_DEPENDENCIES_MAX} dependencies were looked at"));
        }
        has_room
    }

    /// Notes that something was left out.
    pub fn cut(&mut self, reason: String) {
        self.partial.get_or_insert(reason);
    }
}
