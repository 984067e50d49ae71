// SPDX-License-Identifier: Apache-2.0
// Trees under construction: tmp/<name>/fs, and tmp/<name>.work for an overlay that writes to it. The work directory
// stands next to it and not inside, so that publishing is one rename and overlay's leftovers in it are removed later,
// off the way of the next step.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/step_layer.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

Staging Store::stage(const std::string& purpose) {
  auto impl = std::make_unique<Staging::Impl>();
  impl->store = impl_.get();
  const int tmp = impl_->dir(Dir::tmp);
  impl->name = cat(impl_->temp_name(), purpose.empty() ? "" : ".", replace_all(purpose, "/", "-"));
  sys::mkdir_at(tmp, impl->name, 0700);
  sys::mkdir_at(tmp, impl->name + "/fs", 0755);
  impl->tree = sys::open_at(tmp, impl->name + "/fs", O_RDONLY | O_DIRECTORY);
  // mkdir obeys the umask, and this is the root directory of an image.
  if (::fchmod(impl->tree.get(), 0755) != 0) throw_errno(errno, "chmod of a new tree");
  if (impl_->user_xattr || impl_->owners_apart) impl->side = std::make_unique<SideRecorder>(impl_->owners_apart);
  return Staging(std::move(impl));
}

Chain add_tree_on(Store& store, const Digest& parent, Layer layer, Staging staging, const Digest& identity) {
  return store.impl().add_tree_on(parent, std::move(layer), std::move(staging), identity);
}

Chain add_packed_on(Store& store, const Digest& parent, Layer layer, const Digest& identity) {
  return store.impl().add_packed_on(parent, std::move(layer), identity);
}

void remove_leftovers(Store& store) noexcept { store.impl().remove_leftovers(); }

void Store::Impl::remove_later(std::string temp_name) {
  const std::scoped_lock lock(mutex_);
  leftovers_.push_back(std::move(temp_name));
}

void Store::Impl::remove_leftovers() noexcept {
  std::vector<std::string> names;
  {
    const std::scoped_lock lock(mutex_);
    names.swap(leftovers_);
  }
  for (const std::string& name : names) {
    try {
      sys::remove_all_at(dir(Dir::tmp), name);
    } catch (const Error&) {
      // Left for the clean-up.
    }
  }
}

const std::string& Store::Impl::name_of(const Staging& staging) { return staging.impl_->name; }

Staging::Staging(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Staging::Staging(Staging&&) noexcept = default;
Staging& Staging::operator=(Staging&&) noexcept = default;
Staging::~Staging() = default;

int Staging::tree_fd() const { return impl_->tree.get(); }

SideRecorder* Staging::side() const { return impl_->side.get(); }

int Staging::work_fd() {
  if (!impl_->work) {
    const int tmp = impl_->store->dir(Dir::tmp);
    sys::mkdir_at(tmp, impl_->work_name(), 0700);
    impl_->work = sys::open_at(tmp, impl_->work_name(), O_RDONLY | O_DIRECTORY);
  }
  return impl_->work.get();
}

std::string Staging::path() const { return cat(impl_->store->root, "/tmp/", impl_->name, "/fs"); }

std::string Staging::Impl::work_name() const { return name + ".work"; }

const std::string& Staging::Impl::seal(const Layer& layer) const {
  if (layer.id.empty()) throw Error(ErrorCode::internal, "a layer without an id");
  const UniqueFd meta = sys::open_at(store->dir(Dir::tmp), cat(name, '/', kMeta), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sys::write_all(meta.get(), encode_meta(layer));
  // A step that ran on a copy of its root has written its own.
  if (side && !sys::try_stat_at(store->dir(Dir::tmp), cat(name, "/side"))) side->save(tree.get());
  return name;
}

std::string replaced_name(const std::string& staged) { return staged + ".replaced"; }

void Staging::Impl::release() {
  armed = false;
  if (sys::try_stat_at(store->dir(Dir::tmp), replaced_name(name))) store->remove_later(replaced_name(name));
  if (!work) return;
  work.reset();
  store->remove_later(work_name());
}

Staging::Impl::~Impl() {
  if (!armed) return;
  tree.reset();
  const bool has_work = static_cast<bool>(work);
  work.reset();
  try {
    sys::remove_all_at(store->dir(Dir::tmp), name);
    if (has_work) sys::remove_all_at(store->dir(Dir::tmp), work_name());
  } catch (const Error&) {
    // Left for the clean-up.
  }
}

}  // namespace cbuild::cache
