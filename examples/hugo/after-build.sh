# The pictures of a built site, whichever generator built it: into public/pictures, under addresses of the site.
mediasvc rewrite public --in-place --assets public/pictures --asset-url https://blog.example/pictures
