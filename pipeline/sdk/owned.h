/// Objects of C libraries with an owner, which destroys them by the library's own function.
///
///   using Face = Owned<FT_FaceRec_, FT_Done_Face>;
///   const Face face(open_face());
#ifndef WEFT_SDK_OWNED_H
#define WEFT_SDK_OWNED_H

#include <memory>

namespace weft {

template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);  // whatever it returns: there is nothing left to do about it
  }
};

/// destroy: takes the pointer; never called with NULL.
template <typename T, auto destroy>
using Owned = std::unique_ptr<T, Destroy<destroy>>;

}  // namespace weft
#endif
