//! Addresses of this process as names of functions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use blazesym::MaybeDefault;
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use procfs::process::{MMapPath, MemoryMap, Process};

use super::frame::clean;

/// A call whose function is not known.
pub(super) const UNKNOWN: &str = "[unknown]";
/// The executable of this process, even where its file is gone: the gate starts copies, and removes each once it runs.
const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// What tools for flame graphs put behind a function of the kernel.
const OF_THE_KERNEL: &str = "_[k]";

/// What lies at which address of this process.
pub(super) struct Symbols {
    symbolizer: Symbolizer,
    mappings: Vec<MemoryMap>,
    /// What mappings of the executable are called; nothing where the system does not tell.
    executable: Option<PathBuf>,
    /// What was looked up before: a few thousand addresses make up all stacks of a run.
    known: HashMap<u64, Vec<String>>,
}

impl Symbols {
    /// Of what is mapped now: libraries that were unloaded are not known any more.
    pub fn of_this_process() -> Self {
        let mappings = Process::myself().and_then(|process| process.maps());
        // Where the system does not tell, no function has a name; how often each was met is not lost.
        let mappings = mappings.map_or_else(|_| Vec::new(), |maps| maps.0);
        let executable = std::fs::read_link(OWN_EXECUTABLE).ok();
        Self { symbolizer: Symbolizer::new(), mappings, executable, known: HashMap::new() }
    }

    /// The functions at an address: one, or more where the compiler put one into the other, the outermost first.
    pub fn at(&mut self, address: u64) -> &[String] {
        if !self.known.contains_key(&address) {
            let names = self.look_up(address);
            self.known.insert(address, names);
        }
        &self.known[&address]
    }

    /// The functions at an address, the outermost first.
    fn look_up(&self, address: u64) -> Vec<String> {
        // The upper half of the address space is the kernel's, on x86-64 and on ARM64.
        if address >> 63 == 1 {
            return vec![of_the_kernel(&self.symbolizer, address)];
        }
        let mut mappings = self.mappings.iter();
        let Some(mapping) = mappings.find(|map| (map.address.0..map.address.1).contains(&address)) else {
            return vec![UNKNOWN.to_owned()];
        };
        let path = match &mapping.pathname {
            MMapPath::Path(path) => path,
            // Where the time is read without entering the kernel.
            MMapPath::Vdso => return vec!["[vdso]".to_owned()],
            _ => return vec![UNKNOWN.to_owned()],
        };
        let offset = address - mapping.address.0 + mapping.offset;
        let is_own = self.executable.as_ref() == Some(path);
        let mut file = Elf::new(if is_own { Path::new(OWN_EXECUTABLE) } else { path });
        // In a debug build nothing is inlined: reading hundreds of MB of debug information would tell nothing more.
        file.debug_syms = !cfg!(debug_assertions);
        let found = self.symbolizer.symbolize_single(&Source::Elf(file), Input::FileOffset(offset));
        let Some(symbol) = found.ok().and_then(Symbolized::into_sym) else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return vec![clean(&format!("[{name}+{offset:#x}]"))];
        };
        let mut names = vec![clean(&symbol.name)];
        names.extend(symbol.inlined.iter().map(|inlined| clean(&inlined.name)));
        names
    }
}

/// A function of the kernel, where the system tells users their addresses (`kptr_restrict`, see proc(5)).
fn of_the_kernel(symbolizer: &Symbolizer, address: u64) -> String {
    // The table that every kernel has. An image of it, which few machines have, would be read for seconds.
    let kernel = Kernel { kallsyms: MaybeDefault::Default, vmlinux: MaybeDefault::None, ..Kernel::default() };
    let found = symbolizer.symbolize_single(&Source::Kernel(kernel), Input::AbsAddr(address));
    match found.ok().and_then(Symbolized::into_sym) {
        Some(symbol) => clean(&symbol.name) + OF_THE_KERNEL,
        None => format!("[kernel]{OF_THE_KERNEL}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where this function's code is. Not inlined, or it would have no address of its own.
    #[inline(never)]
    fn a_function_to_be_found() -> u64 {
        a_function_to_be_found as *const () as u64
    }

    #[test]
    fn a_function_of_ours_is_found_by_its_address() {
        let mut symbols = Symbols::of_this_process();
        let names = symbols.at(a_function_to_be_found()).to_vec();
        let [name] = names.as_slice() else { panic!("{names:?}") };
        assert!(name.ends_with("symbols::tests::a_function_to_be_found"), "{name}");
    }

    #[test]
    fn what_is_not_code_has_no_name() {
        let on_the_heap = Box::new(0_u8);
        let address = &raw const *on_the_heap as u64;
        assert_eq!(Symbols::of_this_process().at(address), [UNKNOWN]);
        assert_eq!(Symbols::of_this_process().at(0), [UNKNOWN]);
    }

    #[test]
    fn the_kernel_has_the_upper_half_of_addresses() {
        // The last page belongs to no function, whatever the system tells of its kernel.
        let name = Symbols::of_this_process().at(u64::MAX).concat();
        assert!(name.ends_with(OF_THE_KERNEL), "{name}");
    }
}
